"""One folder a module: `main.py` (the class), `module.json` (its descriptor), `tests/`. Modules never import each other."""
