"""A Django service in one file: /total is quick for one entry, and slow for many."""

import time

import telemetry
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path
from opentelemetry import trace
from opentelemetry.instrumentation.django import DjangoInstrumentor

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="not a secret here")
telemetry.set_up("ledger")
DjangoInstrumentor().instrument()
tracer = trace.get_tracer("ledger")


def total(request: HttpRequest, entries: int) -> JsonResponse:
    amounts = [read(number) for number in range(entries)]
    with tracer.start_as_current_span("add up"):
        return JsonResponse({"total": add_up(amounts)})


def read(number: int) -> int:
    time.sleep(0.02)
    return number * 10


def add_up(amounts: list[int]) -> int:
    return sum(map(check, amounts))


def check(amount: int) -> int:
    return max(0, amount)


urlpatterns = [path("total/<int:entries>", total)]
app = get_wsgi_application()
