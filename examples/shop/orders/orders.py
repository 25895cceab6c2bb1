"""Orders. An order has the name of its cart, so that a cart is ordered once, however often its button is pressed."""

import json

from componentize_py_types import Err, Ok
from wit_world import exports
from wit_world.imports import atomics, calls, store
from wit_world.imports.sampan_chain_types import Error_Failed, Payload_Json
from wit_world.imports.wasi_http_types import (
    Fields,
    IncomingRequest,
    Method_Put,
    OutgoingBody,
    OutgoingResponse,
    ResponseOutparam,
)


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        # The node says what `{id}` of the route stands for.
        id = request.headers().get("sampan-path-id")[0].decode()
        status, answer = place(id) if isinstance(request.method(), Method_Put) else show(id)
        respond(response_out, status, answer)


def show(id: str) -> tuple[int, dict]:
    order = store.open("orders").get(id)
    return (200, json.loads(order)) if order else problem(404, "there is no such order")


def place(id: str) -> tuple[int, dict]:
    """Claims the order, takes what it asks for out of the stock, and confirms it."""
    orders = store.open("orders")
    claim = atomics.Cas.new(orders, id)
    known = claim.current()
    if known:
        return 200, json.loads(known)
    cart = store.open("carts").get(id)
    if not cart:
        return problem(404, "there is no such cart")
    order = json.loads(cart) | {"state": "placing"}
    if not order["lines"]:
        return problem(400, "the cart is empty")
    try:
        atomics.swap(claim, encoded(order))
    except Err:
        return problem(409, "this cart is being ordered already")
    try:
        wanted = {line["id"]: line["count"] for line in order["lines"]}
        calls.call("stock", Payload_Json(json.dumps(wanted)))
    except Err as error:
        orders.delete(id)
        if isinstance(error.value, Error_Failed):
            return problem(409, error.value.value)
        raise
    order["state"] = "confirmed"
    orders.set(id, encoded(order))
    return 201, order


def problem(status: int, error: str) -> tuple[int, dict]:
    return status, {"error": error}


def encoded(value: dict) -> bytes:
    return json.dumps(value).encode()


def respond(out: ResponseOutparam, status: int, answer: dict) -> None:
    response = OutgoingResponse(Fields.from_list([("content-type", b"application/json")]))
    response.set_status_code(status)
    body = response.body()
    ResponseOutparam.set(out, Ok(response))
    with body.write() as stream:
        stream.blocking_write_and_flush(encoded(answer))
    OutgoingBody.finish(body, None)
