"""The service's own code: what logfire and the SDK's spans trace of it, otrace traces all."""

from __future__ import annotations

from dataclasses import dataclass

import httpx
from sqlalchemy import ForeignKey, create_engine, select
from sqlalchemy.engine import Engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

CUSTOMERS, ITEMS = 20, 8


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    items: Mapped[list[Item]] = relationship(back_populates="customer")


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    price: Mapped[int]
    count: Mapped[int]
    customer: Mapped[Customer] = relationship(back_populates="items")


@dataclass(frozen=True)
class Line:
    price: int
    count: int


def open_database(path: str) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"check_same_thread": False})
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        for number in range(1, CUSTOMERS + 1):
            items = [Item(price=100 + at * number, count=1 + at % 3) for at in range(ITEMS)]
            session.add(Customer(id=number, name=f"customer {number}", items=items))
        session.commit()
    return engine


def read_lines(engine: Engine, customer: int) -> list[Line]:
    with Session(engine) as session:
        rows = session.scalars(select(Item).where(Item.customer_id == customer)).all()
        return [line_of(row) for row in rows]


def line_of(row: Item) -> Line:
    return Line(row.price, row.count)


def line_total(line: Line) -> int:
    return discounted(line.price * line.count)


def discounted(amount: int) -> int:
    return amount - amount // 10 if amount > 300 else amount


def total(lines: list[Line]) -> int:
    return sum(line_total(line) for line in lines)


def tax(amount: int, rate: int) -> int:
    return amount * rate // 100


def order(engine: Engine, client: httpx.Client, customer: int) -> dict[str, int]:
    """A customer's lines from the database, a tax rate from another service."""
    amount = total(read_lines(engine, customer))
    rate = int(client.get("/rate").text)
    return {"customer": customer, "amount": amount, "tax": tax(amount, rate)}


async def quote(client: httpx.AsyncClient, count: int) -> dict[str, int]:
    """No database: some lines made up, and the tax rate."""
    amount = total([Line(100 + number, 1 + number % 4) for number in range(count)])
    rate = int((await client.get("/rate")).text)
    return {"amount": amount, "tax": tax(amount, rate)}
