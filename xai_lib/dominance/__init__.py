"""XICH: which kind of a class's images a network looks at, where it sees two kinds side by side.

(Dominance paper.) ``features`` and ``clusters`` part the evaluation images of a class into kinds, ``choice`` says into
how many.
"""
