"""Who asks, and whether they may: the one place where a resource learns it.

`on` is False with AUTH=off; hot paths test it and nothing else. With AUTH=on a known credential
costs one look-up of the whole Authorization header in memory (`common.access.gate`).

A resource begins with

    principal = self._access.admit(req, Action.SEND_FIX, driver_id=driver_id)
    body = await self._access.body(principal, req, bytes_max)

or `principal` and `require_role` where the body says whose fixes it holds. Refusals are
`common.errors.Refused`: 401, 403 or 429, made a problem by `ingest.http.problem`.
"""

from time import time

import falcon.asgi

from common.access.address import THIS_MACHINE, AddressLimiter, FrontDoors, client_address
from common.access.claims import unknown
from common.access.gate import Gate
from common.access.policy import ALLOWED, Action, Principal, Role, allowed
from common.errors import Refused
from common.ids import require_id
from common.problem import TOO_MANY_REFUSED
from ingest.http.body import SCOPE_KEY, Body, read_json

# What a 401 asks for on the paths of phone apps.
BASIC_TOO = 'Basic realm="fleetline", Bearer'
# The principal of every request while AUTH=off; its role is not looked at.
ANYBODY = Principal(role=Role.GATEWAY, subject="anybody")


class Access:
    """Asks the gate on behalf of the resources of one worker."""

    def __init__(
        self, gate: Gate | None, refusals: AddressLimiter, doors: FrontDoors = THIS_MACHINE
    ) -> None:
        self.on = gate is not None
        self._gate = gate
        self._refusals = refusals
        self._doors = doors

    def admit(
        self,
        req: falcon.asgi.Request,
        action: Action,
        *,
        driver_id: str | None = None,
        order_id: str | None = None,
        webhook_id: str | None = None,
    ) -> Principal:
        """Who sends `req`, who may do that to what is named.

        Raises `Refused` (401, 403), and then `InvalidUpdate` for an id that can be nobody's.
        """
        principal = self.principal(req)
        self.require(principal, action, driver_id=driver_id, order_id=order_id)
        ids = (("driver_id", driver_id), ("order_id", order_id), ("webhook_id", webhook_id))
        for name, text in ids:
            if text is not None:
                require_id(name, text)
        return principal

    async def body(self, principal: Principal, req: falcon.asgi.Request, bytes_max: int) -> bytes:
        """The JSON body of `req`. Raises also `Refused` (401) for who was shut out meanwhile."""
        body = await read_json(req, bytes_max)
        self.recheck(principal, req)
        return body

    def principal(self, req: falcon.asgi.Request) -> Principal:
        """Who sends `req`, by `Authorization: Bearer` (or Basic, whose password is a token or key).

        Raises `Refused` (401), or `Overloaded` before the lists of keys were read.
        """
        if self._gate is None:
            return ANYBODY
        return self._gate.authenticate(req.get_header("authorization") or "")

    def cached(self, header: str) -> Principal | None:
        """Who sends this Authorization header, if that is known already; for the hot path."""
        return ANYBODY if self._gate is None else self._gate.cached(header)

    def basic(self, req: falcon.asgi.Request) -> Principal:
        """As `principal`, for apps that can only send Basic, and only once it is asked for.

        Elsewhere Basic is taken and not asked for: a browser would ask its user for a password.
        """
        try:
            return self.principal(req)
        except Refused as e:
            if e.status != 401:
                raise
            raise Refused(401, e.detail, headers=(("www-authenticate", BASIC_TOO),)) from e

    def credential(self, text: str) -> Principal:
        """Who has the token or key `text`, for an app that can send it nowhere but in its URL."""
        if self._gate is None:
            return ANYBODY
        return self._gate.authenticate(f"Bearer {text}")

    def require(
        self,
        principal: Principal,
        action: Action,
        *,
        driver_id: str | None = None,
        order_id: str | None = None,
    ) -> None:
        """Raise `Refused` (403) unless `principal` may do that."""
        if self.on and not allowed(principal, action, driver_id=driver_id, order_id=order_id):
            raise Refused(403, f"the role {principal.role} may not {action.value}")

    def require_role(self, principal: Principal, action: Action) -> None:
        """Raise `Refused` (403) when the role of `principal` may do that for no driver or order.

        For before a body is read that says whose it is.
        """
        if self.on and principal.role not in ALLOWED[action]:
            raise Refused(403, f"the role {principal.role} may not {action.value}")

    def recheck(self, principal: Principal, req: falcon.asgi.Request) -> None:
        """Once the body of `req` has come: raise `Refused` (401) if `principal` ended meanwhile."""
        if self._gate is None:
            return
        body: Body = req.scope[SCOPE_KEY]
        if body.slow and (principal.expires_at <= time() or self._gate.is_revoked(principal)):
            raise unknown()

    def may(self, req: falcon.asgi.Request, action: Action) -> bool:
        """Whether `req` shows it may; for answers that only differ in what they tell."""
        if self._gate is None:
            return True
        try:
            return allowed(self.principal(req), action)
        except Refused:
            return False

    def refusal(self, req: falcon.asgi.Request, error: Refused) -> Refused:
        """`error`, or "too many" when the address of `req` has been refused too often."""
        if error.status == 429:
            return error
        client = req.scope.get("client")
        peer, real_ip = client[0] if client else "", req.get_header("x-real-ip") or ""
        address = client_address(peer, real_ip, self._doors)
        wait_s = self._refusals.note(address)
        if not wait_s:
            return error
        return Refused(
            429,
            "too many refused requests from this address",
            retry_after_s=wait_s,
            problem=TOO_MANY_REFUSED,
        )
