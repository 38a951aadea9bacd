"""Do contrastive losses give better class activation maps than cross-entropy?"""
