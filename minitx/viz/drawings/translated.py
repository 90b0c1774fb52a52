"""The sentence that the drawings of encoder and decoder translate: 524."""

ENGLISH = ("five", "hundred", "twenty", "four")
FRENCH = ("cinq", "cent", "vingt", "quatre")
START, END, PAD = "⟨start⟩", "⟨end⟩", "⟨pad⟩"

READ = (START, *FRENCH)  # what the decoder reads
SAID = (*FRENCH, END)  # and what it is to say, at the same places
