"""A chat endpoint on loopback that reads what it is asked and answers sensibly."""

from __future__ import annotations

import json
import re
import threading
from contextlib import contextmanager

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

MODEL = "test-model"
_TOPICS = ("river", "metal", "chess", "bread")


class ChatEndpoint:
    """Names and judges by topic, diagnoses by topic too; counts what it was asked."""

    def __init__(self, server: HTTPServer) -> None:
        self.url = server.url_for("/v1")
        self.asked: list[dict[str, object]] = []
        self.fails_from: int | None = None
        self.fails_on: str | None = None
        self._lock = threading.Lock()
        server.expect_request("/v1/chat/completions").respond_with_handler(self._answer)

    def settings(self, **more: object) -> str:
        """Return the section of a settings file that uses it."""
        section = {"model": MODEL, "base_url": self.url, "tries": 2, **more}
        lines = [f"{name} = {json.dumps(value)}" for name, value in section.items()]
        return "\n".join(["[language_model]", *lines, ""])

    def _answer(self, request: Request) -> Response:
        body = json.loads(request.get_data())
        material = json.loads(body["messages"][1]["content"])
        with self._lock:
            self.asked.append(material)
            number = len(self.asked)
        is_out = self.fails_from is not None and number >= self.fails_from
        if is_out or self.fails_on == _topic(_about(material)):
            return Response(json.dumps({"error": {"message": "out of order"}}), 500)
        answer = json.dumps(self._content(material))
        completion = {
            "id": str(number),
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": answer},
                }
            ],
            "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
        }
        return Response(json.dumps(completion), content_type="application/json")

    def _content(self, material: dict[str, object]) -> dict[str, object]:
        if "ready" in material:
            return {"ready": True}
        topic = _topic(_about(material))
        if "items" in material:
            items = material["items"]
            return {"fitting": [one["id"] for one in items if _topic(one["question"]) == topic]}
        if "members" in material:
            return {
                "name": f"Facts about {topic} questions",
                "description": f"Questions on a {topic} are answered wrongly.",
                "cause": "knowledge",
                "best_members": ["m1"],
                "shares_one_thing": True,
            }
        numbers = "".join(re.findall("[0-9]+", str(material["question"])))
        return {
            "first_wrong_step": "The first sentence is wrong.",
            "missing": f"Knowing the {topic} facts.",
            "diagnosis": f"It recalls a wrong {topic} fact, {numbers}.",
            "cause": "knowledge",
        }


def _about(material: dict[str, object]) -> str:
    if "members" in material:
        return str(material["members"][0]["question"])
    return str(material.get("name", material.get("question", "")))


def _topic(text: str) -> str:
    found = re.search("|".join(_TOPICS), text.lower())
    return found[0] if found else "other"


@contextmanager
def chat_endpoint():
    """Serve a `ChatEndpoint`."""
    with HTTPServer(threaded=True) as server:
        yield ChatEndpoint(server)
