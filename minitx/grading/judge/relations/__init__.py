"""How what came out is related to what should have."""
