"""emosim-local-gpu: language models in this process, by the library transformers."""
