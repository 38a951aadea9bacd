"""The method of the dominance paper: its equations, each in the module that has its name."""
