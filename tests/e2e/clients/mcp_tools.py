"""Uses the tools of an MCP server one after the other and prints what they answer, as a JSON object.

Run by the Python of the server's own environment: `mcp_tools.py COMMAND`, with `{"name": [TOOL, ARGUMENTS], ...}` on
the standard input. An argument `{"from": [NAME, KEY]}` is taken from an earlier answer.
"""

import asyncio
import json
import os
import sys

from fastmcp import Client
from fastmcp.client.transports import StdioTransport


def filled(value, answers):
    if isinstance(value, dict) and set(value) == {"from"}:
        name, key = value["from"]
        return answers[name][key]
    return value


async def main():
    answers = {}
    steps = json.load(sys.stdin)
    async with Client(StdioTransport(sys.argv[1], sys.argv[2:], env=dict(os.environ))) as client:
        for name, (tool, arguments) in steps.items():
            given = {key: filled(value, answers) for key, value in arguments.items()}
            result = await client.call_tool(tool, given)
            answers[name] = result.structured_content
    print(json.dumps(answers))


asyncio.run(main())
