"""What is evaluated: search, the platform's answers, models by themselves."""
