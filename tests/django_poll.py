"""A poll in Django, as its tutorial builds one, with the views that `django.contrib.auth` brings."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth import views
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import UserCreationForm
from django.contrib.messages.views import SuccessMessageMixin
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse_lazy
from django.views.generic import CreateView


def index(request: Any) -> HttpResponse:
    request.session["visits"] = request.session.get("visits", 0) + 1
    return render(request, "page.html", {"body": f"visit {request.session['visits']}"})


class SignUp(SuccessMessageMixin, CreateView):
    form_class, template_name = UserCreationForm, "page.html"
    success_url, success_message = reverse_lazy("login"), "%(username)s may sign in."


class SignIn(views.LoginView):
    template_name = "page.html"

    def form_valid(self, form: Any) -> HttpResponse:
        answer = super().form_valid(form)
        self.request.session.set_expiry(3600 if "remember" in self.request.POST else 0)
        messages.success(self.request, f"Hello, {form.get_user()}.")
        return answer


class ChangePassword(SuccessMessageMixin, views.PasswordChangeView):
    template_name, success_url, success_message = "page.html", reverse_lazy("index"), "Your password is new."


@login_required
def vote(request: Any, choice: str) -> HttpResponse:
    voted = request.session.setdefault("voted", [])
    if choice in voted:
        messages.error(request, f"You had voted for {choice}.")
    else:
        voted.append(choice)
        request.session.modified = True
        messages.info(request, f"One more for {choice}.")
    return redirect("index")


def results(request: Any) -> HttpResponse:
    return HttpResponse(" ".join(request.session.get("voted", ["nothing"])))


urlpatterns = [
    path("", index, name="index"),
    path("sign-up/", SignUp.as_view()),
    path("accounts/login/", SignIn.as_view(), name="login"),
    path("accounts/logout/", views.LogoutView.as_view(next_page="index")),
    path("accounts/password/", ChangePassword.as_view()),
    path("vote/<choice>/", vote),
    path("results/", results),
]
