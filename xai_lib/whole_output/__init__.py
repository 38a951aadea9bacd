"""CWOX: explain all top classes of an output at once, in two stages, through confusion clusters from a latent tree.

(Whole-output paper.) ``documents`` has the top classes of each image, ``latent_tree`` clusters classes that are top
classes together, ``explanation`` makes the contrastive heat maps, ``faithfulness`` scores them.
"""
