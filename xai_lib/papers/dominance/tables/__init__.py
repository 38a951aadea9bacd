"""Tables of the part. The paper prints no numbers."""
