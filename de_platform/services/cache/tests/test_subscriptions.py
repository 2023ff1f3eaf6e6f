import asyncio

from de_platform.services.cache.subscriptions import QUEUE_LIMIT, Subscriptions


async def test_a_subscriber_that_does_not_keep_up_loses_the_oldest() -> None:
    subscriptions = Subscriptions()
    messages = subscriptions.messages("channel")
    receiving = asyncio.create_task(anext(messages))
    await asyncio.sleep(0)
    subscriptions.deliver("channel", "first")
    assert await receiving == "first"
    for number in range(QUEUE_LIMIT + 5):
        subscriptions.deliver("channel", str(number))
    assert await anext(messages) == "5"


async def test_an_iterator_that_is_closed_is_forgotten() -> None:
    subscriptions = Subscriptions()
    messages = subscriptions.messages("channel")
    receiving = asyncio.create_task(anext(messages))
    await asyncio.sleep(0)
    subscriptions.deliver("channel", "first")
    await receiving
    await messages.aclose()
    assert not subscriptions._queues
