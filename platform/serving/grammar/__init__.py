"""Grammar: what a generated text is held to, as masks over the next token and a certain end."""
