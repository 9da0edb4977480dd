"""A blog in the shape that Flask's tutorial teaches: a factory, two blueprints, a database, `g.user`.

Each visit is made twice, over Flask's own sessions and over ours, and must be answered alike.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import flask
import pytest
from flask import Blueprint, Flask, flash, g, redirect, render_template, request, session, url_for
from flask.sessions import SecureCookieSessionInterface
from jinja2 import DictLoader
from werkzeug.security import check_password_hash, generate_password_hash

from sessions_wsgi import CookieStore, FileStore, MemoryStore
from sessions_wsgi.ext.flask import SessionInterface

KEY = "tGq7dYw2Lk0vXo4sRz9BfUc1MhJe6NpAiKx3WyTb5Qg"

TABLES = """
CREATE TABLE member (id INTEGER PRIMARY KEY, name TEXT UNIQUE, hash TEXT);
CREATE TABLE entry (id INTEGER PRIMARY KEY, author INTEGER, title TEXT, text TEXT);
"""
TEMPLATES = {
    "base.html": "<nav>{% if g.user %}{{ g.user.name }} <a href={{ url_for('auth.logout') }}>out</a>"
    "{% else %}<a href={{ url_for('auth.login') }}>in</a>{% endif %}</nav>"
    "{% for message in get_flashed_messages() %}<p class=flash>{{ message }}</p>{% endfor %}"
    "{% block content %}{% endblock %}",
    "form.html": "{% extends 'base.html' %}{% block content %}<form method=post>{{ heading }}</form>"
    "{% endblock %}",
    "list.html": "{% extends 'base.html' %}{% block content %}{% for entry in entries %}"
    "<h1>{{ entry.title }}</h1>by {{ entry.name }}"
    "{% if g.user.id == entry.author %} <a href={{ url_for('blog.update', number=entry.id) }}>edit</a>"
    "{% endif %}{% endfor %}{% endblock %}",
}

auth = Blueprint("auth", __name__, url_prefix="/auth")
blog = Blueprint("blog", __name__)


def database() -> sqlite3.Connection:
    found: sqlite3.Connection = flask.current_app.extensions["database"]
    return found


@auth.before_app_request
def load_user() -> None:
    number = session.get("user_id")
    query = "SELECT * FROM member WHERE id = ?"
    g.user = None if number is None else database().execute(query, (number,)).fetchone()


def signed_in(view: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(view)
    def guarded(**arguments: Any) -> Any:
        return view(**arguments) if g.user else redirect(url_for("auth.login"))

    return guarded


@auth.route("/register", methods=("GET", "POST"))
def register() -> Any:
    if request.method == "POST":
        name, password = request.form["name"], request.form["password"]
        error = None if name and password else "A name and a password, please."
        if error is None:
            try:
                row = name, generate_password_hash(password, "pbkdf2:sha256:1")
                database().execute("INSERT INTO member (name, hash) VALUES (?, ?)", row)
            except sqlite3.IntegrityError:
                error = f"{name} is a member already."
            else:
                return redirect(url_for("auth.login"))
        flash(error)
    return render_template("form.html", heading="Register")


@auth.route("/login", methods=("GET", "POST"))
def login() -> Any:
    if request.method == "POST":
        query = "SELECT * FROM member WHERE name = ?"
        member = database().execute(query, (request.form["name"],)).fetchone()
        if member is not None and check_password_hash(member["hash"], request.form["password"]):
            session.clear()
            session["user_id"] = member["id"]
            return redirect(url_for("blog.index"))
        flash("Nobody here by that name." if member is None else "That is not the password.")
    return render_template("form.html", heading="Log in")


@auth.route("/logout")
def logout() -> Any:
    session.clear()
    return redirect(url_for("blog.index"))


@blog.route("/")
def index() -> Any:
    query = "SELECT entry.*, member.name FROM entry JOIN member ON author = member.id ORDER BY entry.id"
    return render_template("list.html", entries=database().execute(query).fetchall())


@blog.route("/create", methods=("GET", "POST"))
@signed_in
def create() -> Any:
    if request.method == "POST":
        if request.form["title"]:
            row = g.user["id"], request.form["title"], request.form["text"]
            database().execute("INSERT INTO entry (author, title, text) VALUES (?, ?, ?)", row)
            return redirect(url_for("blog.index"))
        flash("An entry needs a title.")
    return render_template("form.html", heading="New")


def own_entry(number: int) -> Any:
    entry = database().execute("SELECT * FROM entry WHERE id = ?", (number,)).fetchone()
    if entry is None or entry["author"] != g.user["id"]:
        flask.abort(404 if entry is None else 403)
    return entry


@blog.route("/<int:number>/update", methods=("GET", "POST"))
@signed_in
def update(number: int) -> Any:
    entry = own_entry(number)
    if request.method == "POST":
        database().execute("UPDATE entry SET title = ? WHERE id = ?", (request.form["title"], number))
        return redirect(url_for("blog.index"))
    return render_template("form.html", heading=entry["title"])


@blog.post("/<int:number>/delete")
@signed_in
def delete(number: int) -> Any:
    own_entry(number)
    database().execute("DELETE FROM entry WHERE id = ?", (number,))
    return redirect(url_for("blog.index"))


def create_app(interface: Any) -> Flask:
    app = Flask(__name__)
    app.config.from_mapping(SECRET_KEY=KEY)
    app.jinja_loader = DictLoader(TEMPLATES)
    app.session_interface = interface
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    connection.executescript(TABLES)
    app.extensions["database"] = connection
    app.register_blueprint(auth)
    app.register_blueprint(blog)
    app.add_url_rule("/", endpoint="index")
    return app


#: Who visits, where, what is sent by a form; and what the page holds, or where it leads.
STORY: list[tuple[str, str, dict[str, str] | None, str]] = [
    ("ada", "/", None, "<nav><a href=/auth/login>in"),
    ("ada", "/create", None, "-> /auth/login"),
    ("ada", "/auth/register", None, "Register"),
    ("ada", "/auth/register", {"name": "", "password": ""}, "<p class=flash>A name and a password, please."),
    ("ada", "/auth/register", None, "</nav><form"),
    ("ada", "/auth/register", {"name": "ada", "password": "x"}, "-> /auth/login"),
    ("ada", "/auth/register", {"name": "ada", "password": "y"}, "<p class=flash>ada is a member already."),
    ("ada", "/auth/login", {"name": "bob", "password": "x"}, "<p class=flash>Nobody here by that name."),
    ("ada", "/auth/login", {"name": "ada", "password": "y"}, "<p class=flash>That is not the password."),
    ("ada", "/auth/login", {"name": "ada", "password": "x"}, "-> /"),
    ("ada", "/", None, "<nav>ada <a href=/auth/logout>out</a></nav>"),
    (
        "ada",
        "/create",
        {"title": "", "text": ""},
        "<nav>ada <a href=/auth/logout>out</a></nav><p class=flash>An entry",
    ),
    ("ada", "/create", None, "out</a></nav><form"),
    ("ada", "/create", {"title": "<One>", "text": "first"}, "-> /"),
    ("ada", "/", None, "<h1>&lt;One&gt;</h1>by ada <a href=/1/update>edit"),
    ("bob", "/", None, "<nav><a href=/auth/login>in</a></nav><h1>&lt;One&gt;</h1>by ada"),
    ("bob", "/1/update", {"title": "Mine"}, "-> /auth/login"),
    ("bob", "/auth/register", {"name": "bob", "password": "z"}, "-> /auth/login"),
    ("bob", "/auth/login", {"name": "bob", "password": "z"}, "-> /"),
    ("bob", "/1/update", {"title": "Mine"}, "403"),
    ("bob", "/9/update", None, "404"),
    ("ada", "/1/update", {"title": "Two"}, "-> /"),
    ("ada", "/", None, "<h1>Two</h1>"),
    ("ada", "/auth/login", {"name": "bob", "password": "z"}, "-> /"),
    ("ada", "/", None, "<nav>bob"),
    ("ada", "/auth/logout", None, "-> /"),
    ("ada", "/create", None, "-> /auth/login"),
    ("bob", "/create", {"title": "Three", "text": ""}, "-> /"),
    ("bob", "/2/delete", {}, "-> /"),
    ("bob", "/2/delete", {}, "404"),
    ("bob", "/auth/logout", None, "-> /"),
    ("bob", "/", None, "<nav><a href=/auth/login>in</a></nav><h1>Two</h1>by ada"),
]


class Site:
    """The blog over one kind of sessions, and a browser for each visitor."""

    def __init__(self, interface: Any) -> None:
        self.app = create_app(interface)
        self.clients = {"ada": self.app.test_client(), "bob": self.app.test_client()}

    def visit(self, who: str, path: str, form: dict[str, str] | None) -> dict[str, Any]:
        """What the visitor gets, and what the session adds to the headers."""
        client = self.clients[who]
        had = client.get_cookie("session") is not None
        response = client.open(path, method="GET" if form is None else "POST", data=form)
        return {
            "status": response.status_code,
            "location": response.location,
            "page": response.text,
            "varies": response.headers.get("Vary"),
            "cookie": [
                (value.startswith("session=;"), value.split("; ")[1:])
                for value in response.headers.getlist("Set-Cookie")
                if had or not value.startswith("session=;")  # Flask deletes what nobody has
            ],
        }


@pytest.fixture(params=["by config", "encrypted", "memory", "file"])
def both(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[tuple[Site, Site]]:
    """The blog over Flask's own sessions, and over ours."""
    stores: dict[str, Callable[[], Any]] = {
        "by config": lambda: None,
        "encrypted": lambda: CookieStore(KEY, encrypt=True),
        "memory": lambda: MemoryStore(KEY),
        "file": lambda: FileStore(str(tmp_path), KEY),
    }
    sites = Site(SecureCookieSessionInterface()), Site(SessionInterface(stores[request.param]()))
    yield sites
    for site in sites:
        site.app.extensions["database"].close()


def test_the_blog_of_the_tutorial_is_the_same_over_ours(both: tuple[Site, Site]) -> None:
    theirs, ours = both
    for who, path, form, holds in STORY:
        expected = theirs.visit(who, path, form)
        told = f"{expected['status']} -> {expected['location']}\n{expected['page']}"
        assert holds in told, "the story itself"
        assert ours.visit(who, path, form) == expected, path


def test_a_copied_cookie_is_worth_nothing_after_the_logout() -> None:
    """Here a store on the server is better: what is in the cookie alone lives on in the copy."""
    site = Site(SessionInterface(MemoryStore(KEY)))
    client = site.clients["ada"]
    client.post("/auth/register", data={"name": "ada", "password": "x"})
    client.post("/auth/login", data={"name": "ada", "password": "x"})
    cookie = client.get_cookie("session")
    assert cookie is not None
    assert client.get("/create").status_code == 200
    client.get("/auth/logout")
    client.set_cookie("session", cookie.value)
    assert client.get("/create").location == "/auth/login"
    site.app.extensions["database"].close()
