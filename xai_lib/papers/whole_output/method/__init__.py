"""The paper's method, one file a step.

- :mod:`documents`: the top classes of an image (§3);
- :mod:`clusters`: classes that are confused with each other (§3 and §4), and how firm they are;
- :mod:`base_maps`: the saliency map of a group of classes (§4.1);
- :mod:`contrastive_maps`: what speaks for a cluster, and for a class rather than its rivals (§4.2, Equations 1 and 2);
- :mod:`faithfulness`: CAUC and CDROP (§5.1, Equations 3 to 5), and :mod:`observer`: the matching task (§5.2);
- :mod:`evaluation`: all of it on some images, as rows.
"""
