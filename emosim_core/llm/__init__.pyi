"""The public names of `emosim_core.llm` and where each lives."""

from emosim_core.errors import LLMAuthenticationError as LLMAuthenticationError
from emosim_core.errors import LLMBudgetError as LLMBudgetError
from emosim_core.errors import LLMError as LLMError
from emosim_core.errors import LLMMalformedError as LLMMalformedError
from emosim_core.errors import LLMRateLimitError as LLMRateLimitError
from emosim_core.errors import LLMRefusedError as LLMRefusedError
from emosim_core.errors import LLMReplayError as LLMReplayError
from emosim_core.errors import LLMRequestError as LLMRequestError
from emosim_core.errors import LLMTransientError as LLMTransientError
from emosim_core.llm.backend import LLMBackend as LLMBackend
from emosim_core.llm.backend import Price as Price
from emosim_core.llm.chat import ChatAnswer as ChatAnswer
from emosim_core.llm.chat import ChatRequest as ChatRequest
from emosim_core.llm.chat import Message as Message
from emosim_core.llm.chat import Usage as Usage
from emosim_core.llm.gateway.redaction import Redactor as Redactor
from emosim_core.llm.prompts.prompt_strategy import PromptStrategy as PromptStrategy
from emosim_core.llm.prompts.prompt_strategy import Reply as Reply
