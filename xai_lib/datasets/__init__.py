"""Data sets: generated, downloaded, or a user's own folder of images."""
