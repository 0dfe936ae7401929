"""An HTTP service around an exported policy: choose a model for a query, hear what it gave, keep what was learned.

    python examples/serve.py policy.npz --port 8000 --save-every 20

    POST /choose    {"text": "a question, or its embedding", "image": [...], "preference": 0.1, "available": ["a", "b"]}
                    -> {"model": "a", "choice": {...}}      every field is optional that the policy does not need
    POST /feedback  {"choice": {...}, "utility": 1.0, "cost": 0.002}
                    -> {"heard": 17}                        send the choice back as it came
    GET  /health    -> {"policy": ..., "models": [...], "heard": 17, "saved": true}

The policy's file is written anew after every so many outcomes, and when the service stops, whole or not at all: a
restart goes on from there. A choice is complete in itself, so that its feedback may come after a restart. One process
decides and learns (no `--workers`): there is one policy, and it is not shared between processes.

Needs: pip install "routebandit[serve]".
"""

from __future__ import annotations

import argparse
import contextlib
import uuid
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import bandits
from bandits.serving.router import Choice, Router

REMEMBERED = 100_000  # choices whose feedback is not taken a second time


class Service:
    """A policy, the file that it is kept in, and what it has heard since it was written."""

    def __init__(self, path: Path, save_every: int) -> None:
        self.path, self.save_every = path, save_every
        self.policy: Router = bandits.load(path)
        self.heard, self.unsaved = 0, 0
        self.order: deque[str] = deque()
        self.done: set[str] = set()

    def choose(self, query: dict[str, Any]) -> dict[str, Any]:
        """Return the model for a query, and all that its feedback needs."""
        allowed = {"text", "image", "dataset", "preference", "available"}
        if stray := sorted(set(query) - allowed):
            raise ValueError(f"choose knows no field {stray[0]!r}; it has {', '.join(sorted(allowed))}")
        choice = self.policy.choose(**query)
        told = choice._asdict() | {"context": choice.context.tolist(), "id": uuid.uuid4().hex}
        return {"model": choice.model, "choice": told}

    def feedback(self, told: dict[str, Any]) -> dict[str, Any]:
        """Learn from what a call gave; write the policy's file after every `save_every` of them."""
        given = told.get("choice")
        if (
            not isinstance(given, dict)
            or set(given) != {*Choice._fields, "id"}
            or not isinstance(given["id"], str)
        ):
            raise ValueError("feedback needs the choice as /choose returned it")
        name = given["id"]
        if name in self.done:
            raise ValueError(f"feedback on the choice {name[:40]} was heard already")
        named = given["available"]
        fields = {k: v for k, v in given.items() if k != "id"}
        choice = Choice(**fields | {"available": None if named is None else tuple(named)})
        self.policy.learn(choice, utility=told.get("utility"), cost=told.get("cost", 0.0))  # type: ignore[arg-type]
        self._remember(name)
        self.heard, self.unsaved = self.heard + 1, self.unsaved + 1
        if self.unsaved >= self.save_every:
            self.save()
        return {"heard": self.heard}

    def _remember(self, name: str) -> None:
        self.done.add(name)
        self.order.append(name)
        if len(self.order) > REMEMBERED:
            self.done.discard(self.order.popleft())

    def save(self) -> None:
        """Write the policy's file, whole or not at all."""
        if self.unsaved:
            self.policy.save(self.path)
            self.unsaved = 0


def application(service: Service) -> Starlette:
    """Return the service as an ASGI application."""

    async def answered(request: Request, work: Any) -> JSONResponse:
        try:
            told = await request.json()
            if not isinstance(told, dict):
                raise ValueError("the body needs to be a JSON object")
            return JSONResponse(work(told))
        except ValueError as error:  # of JSON too
            return JSONResponse({"error": str(error)}, status_code=422)

    async def choose(request: Request) -> JSONResponse:
        return await answered(request, service.choose)

    async def feedback(request: Request) -> JSONResponse:
        return await answered(request, service.feedback)

    async def health(request: Request) -> JSONResponse:
        settings = service.policy.settings
        known = {"policy": settings.policy, "models": list(settings.models), "learned_from": settings.label}
        return JSONResponse(known | {"heard": service.heard, "saved": not service.unsaved})

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        service.save()

    routes = [
        Route("/choose", choose, methods=["POST"]),
        Route("/feedback", feedback, methods=["POST"]),
        Route("/health", health),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def main() -> None:
    """Load the policy and serve it until it is stopped."""
    options = argparse.ArgumentParser(description="Serve an exported policy over HTTP.")
    options.add_argument("policy", type=Path, help="The file that `simulate.py export` wrote.")
    options.add_argument("--host", default="127.0.0.1")
    options.add_argument("--port", type=int, default=8000)
    options.add_argument(
        "--save-every", type=int, default=20, help="Outcomes between two writings of the file."
    )
    given = options.parse_args()
    try:
        service = Service(given.policy, max(given.save_every, 1))
    except ValueError as error:
        options.error(str(error))
    uvicorn.run(application(service), host=given.host, port=given.port, log_level="warning")


if __name__ == "__main__":
    main()
