"""Scaffold: plugins that `emosim plugins new` writes, complete and working, from templates."""
