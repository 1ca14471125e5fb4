"""served.py for Celery, with folders for a broker."""

import os

import served
from celery import Celery

app = Celery("served_celery")
folder = os.environ["SERVED_BROKER"]
app.conf.update(
    broker_url="filesystem://",
    broker_transport_options={
        "data_folder_in": folder,
        "data_folder_out": folder,
        "control_folder": folder + "-control",
    },
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
)


@app.task
def answer(times: int) -> None:
    served.handle(f"/{times}")
