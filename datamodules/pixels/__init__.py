"""How pictures become what a network sees: decoded, cut, coloured, mixed, normalised."""
