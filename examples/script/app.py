"""Prices the orders of a small shop: JSON in, bundles within bundles, one thread a region."""

import hashlib
import json
import threading
import time

REGIONS = ("north", "east", "south", "west")
PRICES = {"bolt": 5, "nut": 3, "plate": 120, "motor": 4_500}  # cents
KIT = {"parts": ["bolt", "nut", "nut"], "discount": 10}
FRAME = {"parts": ["plate", KIT, KIT], "discount": 0}
ENGINE = {"parts": ["motor", FRAME, {"parts": [KIT, "plate"], "discount": 5}], "discount": 15}
ITEMS = ("bolt", KIT, FRAME, ENGINE)


def make_orders(count):
    """Orders as the shop's web page would send them: a few have a quantity that is no number."""
    orders = [
        {
            "id": number,
            "region": REGIONS[number % len(REGIONS)],
            "item": ITEMS[number % 3 if number % 7 else 3],
            "quantity": "many" if number % 12 == 11 else str(1 + number % 4),
        }
        for number in range(count)
    ]
    return json.dumps(orders)


def read_orders(text):
    """The orders that make sense, and how many do not."""
    good, rejected = [], 0
    for order in json.loads(text):
        try:
            order["quantity"] = quantity_of(order)
        except ValueError:
            rejected += 1
        else:
            good.append(order)
    return good, rejected


def quantity_of(order):
    return int(order["quantity"])


def price(item):
    """Cents; a bundle costs what its parts cost, less its discount."""
    if isinstance(item, str):
        return PRICES[item]
    total = 0
    for part in item["parts"]:
        total += price(part)
    return total * (100 - item["discount"]) // 100


def fetch_tax(region):
    """Stands for a question to another machine."""
    time.sleep(0.001)
    return {"north": 19, "east": 21, "south": 8, "west": 0}[region]


def sign(text):
    """Slow on purpose; hashlib releases the GIL meanwhile."""
    return hashlib.pbkdf2_hmac("sha256", text.encode(), b"shop", 600).hex()


def bill_order(order, tax):
    total = price(order["item"]) * order["quantity"] * (100 + tax) // 100
    return total, sign(f"{order['id']}: {total}")


def bill(region, orders, totals):
    tax = fetch_tax(region)
    bills = [bill_order(order, tax) for order in orders]
    totals[region] = sum(total for total, _ in bills)


def main():
    orders, rejected = read_orders(make_orders(48))
    totals = {}
    threads = []
    for region in REGIONS:
        own = [order for order in orders if order["region"] == region]
        thread = threading.Thread(target=bill, args=(region, own, totals), name=f"bill {region}")
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join()
    for region in REGIONS:
        print(f"{region:6} {totals[region] / 100:10.2f}")
    print(f"{len(orders)} orders, {rejected} rejected")


if __name__ == "__main__":
    main()
