"""Data: real, small and made on the spot; nothing is ever downloaded."""
