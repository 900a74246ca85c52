"""How the weights that the package ships were trained, packed and measured."""
