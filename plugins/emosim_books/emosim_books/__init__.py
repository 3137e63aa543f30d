"""Books for EmoSim. Importing this package registers ``EmoSim/Books-v0`` with Gymnasium."""

from emosim_core.plugins import register_environment

register_environment("books")
