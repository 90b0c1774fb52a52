"""Running a submission: reading its file, calling its functions, stopping what does not end."""
