"""Tasks of one's own for agents, as lines of JSON.

A line is an object:

    {"id": "ship-17",
     "task": "Order 17 has left the house. Note it, and say who gets it.",
     "state": {"orders": {"17": {"status": "open", "to": "Ada"}}},
     "tools": ["calculator",
               {"name": "get_order", "description": "An order by its number.",
                "parameters": {"type": "object", "properties": {"id": {"type": "string"}},
                               "required": ["id"], "additionalProperties": false},
                "gives": "orders.{id}"},
               {"name": "set_status", "description": "Sets an order's status.",
                "parameters": {"type": "object",
                               "properties": {"id": {"type": "string"},
                                              "status": {"enum": ["open", "shipped"]}},
                               "required": ["id", "status"], "additionalProperties": false},
                "needs": ["orders.{id}"], "sets": {"orders.{id}.status": "{status}"}}],
     "expect": {"calls": [{"tool": "get_order", "args": {"id": "17"}},
                          {"tool": "set_status", "args": {"id": "17", "status": "shipped"}}],
                "answer": ["Ada"],
                "state": [{"path": "orders.17.status", "is": "shipped"}]}}

`id`, `task` and at least one expectation are required. `tools` are those of the platform, by name,
server or pattern (not other agents, whose runs belong to one that is stored), and objects: tools
that are made for the task and act on its `state` alone (see `world`). `expect` has

- `calls`: those that are right, in order (see `evals.agents.matching`); an empty list for none;
- `answer`: facts, each a text that has to stand in the answer, or a list of texts of which one has
  to; case and whitespace do not matter;
- `state`: what holds of the state afterwards: a list of checks (see `checks`), or the whole of it;
- `abstains`: whether the run has to say that there is no answer.

A task succeeds if its run came to an end of its own and `answer`, `state` and `abstains` hold, as
far as they are there; calls are measured apart, since there may be several ways. Further keys:
`group` (of tasks that are alike), `approve` (tools of the platform that may change something; calls
of all others wait and are refused), `budget` (`steps`, `calls`, `tokens`, `seconds`).
"""
