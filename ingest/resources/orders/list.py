"""`/api/v1/orders`: orders of a driver, or in a state, page by page, the newest first."""

import falcon.asgi

from common.access.policy import Action
from common.orders import store
from common.orders.row import order_of
from ingest.http.access import Access
from ingest.http.queries.next_page import link_next
from ingest.http.queries.orders import OrdersQuery, orders_cursor, read_orders_query
from ingest.http.read_limiter import ReadLimiter
from ingest.resources.history import History
from ingest.resources.orders.shapes import facts_of
from ingest.resources.route.page import Row, dump


def orders_sql(query: OrdersQuery) -> tuple[str, list[object]]:
    """The question and its arguments; only the filters that were asked for, so an index serves."""
    wanted, args = [], list[object]()
    for column, value in (("driver_id", query.driver_id), ("state", query.state)):
        if value is not None:
            args.append(value)
            wanted.append(f"{column} = ${len(args)}")
    if query.after is not None:
        args += query.after
        wanted.append(f"(new_at, order_id) < (${len(args) - 1}, ${len(args)})")
    where = f" WHERE {' AND '.join(wanted)}" if wanted else ""
    args.append(query.limit + 1)
    return f"{store.SELECT}{where} ORDER BY new_at DESC, order_id DESC LIMIT ${len(args)}", args


class OrderList:
    """All orders, also those that are over."""

    def __init__(self, database: History, access: Access, reads: ReadLimiter) -> None:
        self._database = database
        self._access = access
        self._reads = reads

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """One page; a Link header leads to the next."""
        principal = self._access.admit(req, Action.LIST_ORDERS)
        query = read_orders_query(req.params)
        async with self._reads.turn(principal.subject):
            sql, args = orders_sql(query)
            rows: list[Row] = await self._database.read(sql, *args)
            cursor = None
            if len(rows) > query.limit:
                rows = rows[: query.limit]
                cursor = orders_cursor(rows[-1])
            orders = [facts_of(order_of(row)) for row in rows]
            resp.data = dump({"count": len(orders), "orders": orders, "next_cursor": cursor})
        link_next(req, resp, query, cursor)

    on_head = on_get
