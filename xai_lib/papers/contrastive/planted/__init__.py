"""How the three losses do on what was planted in the drawn images."""
