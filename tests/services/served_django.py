"""served.py for Django: `python served_django.py runserver PORT`."""

import sys

import django
import served
from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpRequest, HttpResponse
from django.urls import path


def answer(request: HttpRequest, times: int) -> HttpResponse:
    return HttpResponse(served.handle(f"/{times}"))


urlpatterns = [path("<int:times>", answer)]
settings.configure(DEBUG=True, ROOT_URLCONF=__name__, SECRET_KEY="x", ALLOWED_HOSTS=["*"])
django.setup()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
