"""One folder a module: `main.py` (the class), `module.json` (its descriptor), `tests/`. No module imports another."""
