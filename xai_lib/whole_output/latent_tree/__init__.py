"""Latent tree analysis of binary words (whole-output paper §3; Chen et al. 2017)."""
