"""Released weights of the attention zoo, a folder <slug>/<row> each; zoo.registry finds them."""
