"""A small site in Django, as a tutorial builds it: sign-up, sign-in, messages, a cart, sign-out."""

from __future__ import annotations

from django.contrib import auth, messages
from django.contrib.auth import login, logout
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm, UserCreationForm
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path

MONTH = 30 * 24 * 3600


def home(request: HttpRequest) -> HttpResponse:
    lines = [f"hello {request.user.get_username() or 'stranger'}"]
    lines += [f"{message.level_tag}: {message}" for message in messages.get_messages(request)]
    return HttpResponse("\n".join(lines))


def sign_up(request: HttpRequest) -> HttpResponse:
    form = UserCreationForm(request.POST)
    if not form.is_valid():
        return HttpResponse(form.errors.as_text(), status=422)
    login(request, form.save())
    messages.success(request, "Your account is ready")
    return redirect("home")


def sign_in(request: HttpRequest) -> HttpResponse:
    form = AuthenticationForm(request, request.POST)
    if not form.is_valid():
        return HttpResponse("wrong name or password", status=422)
    login(request, form.get_user())
    request.session.set_expiry(MONTH if "remember" in request.POST else 0)
    messages.info(request, "Welcome back")
    return redirect("home")


def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    messages.info(request, "See you")
    return redirect("home")


@login_required(login_url="/")
def change_password(request: HttpRequest) -> HttpResponse:
    form = PasswordChangeForm(request.user, request.POST)
    form.full_clean()
    form.save()
    return HttpResponse("changed")


@login_required(login_url="/")
def members(request: HttpRequest) -> HttpResponse:
    return HttpResponse("members only")


def add_to_cart(request: HttpRequest, item: str) -> HttpResponse:
    request.session["cart"] = [*request.session.get("cart", []), item]
    return HttpResponse("added")


def add_in_place(request: HttpRequest, item: str) -> HttpResponse:
    """What Django's own sessions do not notice."""
    request.session["cart"].append(item)
    return HttpResponse("added")


def cart(request: HttpRequest) -> HttpResponse:
    return HttpResponse(" ".join(request.session.get("cart", [])))


def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("no session needed")


def fail_after_writing(request: HttpRequest) -> HttpResponse:
    request.session["cart"] = ["lost"]
    return HttpResponse("sorry", status=503)


def ended_meanwhile(request: HttpRequest) -> HttpResponse:
    """Another request logs out while this one works."""
    request.session["cart"] = ["mine"]
    type(request.session)(request.session.session_key).flush()
    return HttpResponse("done")


def no_cookies_wanted(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        worked = request.session.test_cookie_worked()
        request.session.delete_test_cookie()
        return HttpResponse("works" if worked else "does not")
    request.session.set_test_cookie()
    return HttpResponse("a form")


async def async_sign_in(request: HttpRequest) -> HttpResponse:
    user = await User.objects.aget(username=request.POST["username"])
    await auth.alogin(request, user)
    await request.session.aset("cart", ["apple"])
    await request.session.aset_expiry(MONTH)
    return HttpResponse(f"{await request.session.aget_expiry_age()}")


async def async_home(request: HttpRequest) -> HttpResponse:
    user = await auth.aget_user(request)
    found = " ".join(await request.session.aget("cart", []))
    return HttpResponse(f"hello {user.get_username() or 'stranger'}: {found}")


async def async_sign_out(request: HttpRequest) -> HttpResponse:
    await auth.alogout(request)
    return HttpResponse("bye")


urlpatterns = [
    path("", home, name="home"),
    path("sign-up", sign_up),
    path("sign-in", sign_in),
    path("sign-out", sign_out),
    path("password", change_password),
    path("members", members),
    path("cart", cart),
    path("cart/add/<item>", add_to_cart),
    path("cart/append/<item>", add_in_place),
    path("plain", plain),
    path("fail", fail_after_writing),
    path("ended", ended_meanwhile),
    path("test-cookie", no_cookies_wanted),
    path("async/sign-in", async_sign_in),
    path("async/home", async_home),
    path("async/sign-out", async_sign_out),
]
