"""How numbers are written in a language where Django's own way does not suit tables of figures."""
