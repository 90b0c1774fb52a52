"""`minitx bench attention`: the Triton kernel beside the attentions that people use."""
