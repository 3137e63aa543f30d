"""The gateway: a language model behind a cache, a budget, a limit and retries, so that no request is paid for twice."""
