"""What models of sentences share: vocabularies, decoding, translation, scores."""
