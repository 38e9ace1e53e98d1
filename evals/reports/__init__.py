"""Runs as people and programs read them: lists, pages of samples, one HTML file, JUnit XML."""
