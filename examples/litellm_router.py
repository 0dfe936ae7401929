"""An exported policy inside LiteLLM's router: it picks the deployment, and learns from what the answer was worth.

LiteLLM keeps doing what a gateway does (keys, retries, cooldowns, logging); which model answers is the policy's choice.
The deployments of one model group are the policy's models, named by `model_info.id`. The policy is one that was trained
on questions, so that the text of the last user message is all that it needs:

    python simulate.py --policy averaged --data questions.csv --seeds 5 --out runs/questions
    python simulate.py export runs/questions --policy averaged --out policy.npz
    python examples/litellm_router.py policy.npz "What is the area of the circle?"

answers from mock responses, without a network; leave `mock_response` out and set the keys to call the models.

Needs: pip install "routebandit[litellm]".
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import litellm
from litellm.types.router import CustomRoutingStrategyBase

import bandits
from bandits.serving.router import Choice, Router

GROUP = "routed"  # the model group that callers name


class Learned(CustomRoutingStrategyBase):
    """Routes each request of the group by an exported policy.

    Attributes:
        policy: from `bandits.load`.
        choices: of requests whose answer was not judged yet, by the caller's name for the request.
    """

    def __init__(self, policy: Router, router: litellm.Router) -> None:
        self.policy, self.router = policy, router
        self.choices: dict[str, Choice] = {}

    def get_available_deployment(
        self,
        model: str,
        messages: Any = None,
        input: Any = None,
        specific_deployment: bool | None = False,
        request_kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Return the deployment to call, as an element of the router's model list."""
        del input, specific_deployment
        there = {d["model_info"]["id"]: d for d in self.router.model_list if d["model_name"] == model}
        up = [name for name in self.policy.settings.models if name in there]
        choice = self.policy.choose(asked(messages), available=up)
        metadata = (request_kwargs or {}).get("metadata") or {}
        if "request" in metadata:
            self.choices[metadata["request"]] = choice
        return there[choice.model]

    async def async_get_available_deployment(self, *given: Any, **options: Any) -> Any:
        """Return the same, for `acompletion`; a choice takes microseconds and waits for nothing."""
        return self.get_available_deployment(*given, **options)

    def judged(self, request: str, *, utility: float, cost: float) -> None:
        """Learn from an answer: how good it was, in [0, 1], and what it cost, in the unit of the policy's table."""
        self.policy.learn(self.choices.pop(request), utility=utility, cost=cost)


def asked(messages: Any) -> str:
    """Return the text of the last user message, of its text parts where it has images too."""
    for message in reversed(messages or []):
        if message.get("role") == "user":
            content = message.get("content") or ""
            if isinstance(content, str):
                return content
            return " ".join(part.get("text", "") for part in content if part.get("type") == "text")
    return ""


def routed(policy: Router, deployments: dict[str, dict[str, Any]]) -> tuple[litellm.Router, Learned]:
    """Return LiteLLM's router with the policy in it.

    Args:
        policy: from `bandits.load`.
        deployments: for each of the policy's models its `litellm_params`.
    """
    models = [
        {"model_name": GROUP, "litellm_params": params, "model_info": {"id": name}}
        for name, params in deployments.items()
    ]
    router = litellm.Router(model_list=models)
    strategy = Learned(policy, router)
    # Newer versions call it a plugin; older ones know only the second name.
    register = (
        router.register_plugin if hasattr(router, "register_plugin") else router.set_custom_routing_strategy
    )
    register(strategy)
    return router, strategy


def main() -> None:
    """Ask one question of mock models, and let the policy hear that the answer was right."""
    path, question = Path(sys.argv[1]), sys.argv[2]
    policy = bandits.load(path)
    mocked = {
        name: {"model": f"openai/{name}", "api_key": "none", "mock_response": f"an answer of {name}"}
        for name in policy.settings.models
    }
    router, strategy = routed(policy, mocked)
    answer = router.completion(
        model=GROUP, messages=[{"role": "user", "content": question}], metadata={"request": "1"}
    )
    print(answer.choices[0].message.content)
    strategy.judged("1", utility=1.0, cost=0.0)
    policy.save(path)


if __name__ == "__main__":
    main()
