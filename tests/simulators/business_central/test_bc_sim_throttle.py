import asyncio

from tests.simulators.business_central.books import Books


async def test_the_window_refuses_and_slides(books: Books) -> None:
    await books.control("POST", "limits", {"requests": 3})
    for _ in range(3):
        await books.rows("paymentTerms")
    answer = await books.call("GET", "paymentTerms")
    assert answer.status_code == 429
    assert "Retry-After" not in answer.headers
    await books.control("POST", "clock", {"advance_seconds": 301})
    await books.rows("paymentTerms")
    assert (await books.control("GET", "state"))["throttled"] == 1


async def test_a_429_may_carry_retry_after(books: Books) -> None:
    await books.control("POST", "limits", {"requests": 0, "retry_after_share": 1, "retry_after": 7})
    assert (await books.call("GET", "paymentTerms")).headers["Retry-After"] == "7"


async def test_five_run_the_rest_queue_and_above_it_is_refused(books: Books) -> None:
    await books.control("POST", "limits", {"service_ms": 5, "queue": 4})
    answers = await asyncio.gather(*(books.call("GET", "paymentTerms") for _ in range(12)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] * 9 + [429] * 3
    state = await books.control("GET", "state")
    assert (state["max_concurrency"], state["queued_peak"], state["throttled"]) == (5, 4, 3)


async def test_users_do_not_share_their_limits(books: Books) -> None:
    await books.control("POST", "limits", {"requests": 1})
    await books.rows("paymentTerms")
    assert (await books.call("GET", "paymentTerms")).status_code == 429
    other = books.sim.tokens.issue("6f1c2c1e-93a4-4f0a-8d55-1b5a7c0f9e21", "demo-device", "someone@example.com")
    headers = {"Authorization": f"Bearer {other}"}
    url = "/v2.0/sandbox/api/v2.0/companies"
    assert (await books.http.get(url, headers=headers)).status_code == 200


async def test_waiting_too_long_in_the_queue_is_503_with_retry_after(books: Books) -> None:
    limits = {"service_ms": 50, "concurrent": 1, "queue_timeout_seconds": 0.001}
    await books.control("POST", "limits", limits)
    answers = await asyncio.gather(*(books.call("GET", "paymentTerms") for _ in range(2)))
    assert [answer.status_code for answer in answers] == [200, 503]
    assert answers[1].headers["Retry-After"] == "30"
    await books.control("POST", "limits", {"service_ms": 0})
    assert (await books.call("GET", "paymentTerms")).status_code == 200
