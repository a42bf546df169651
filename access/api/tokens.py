"""Tokens of the caller, over HTTP."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.http import HttpResponse
from django.utils import timezone
from ninja import Query, Router, Schema
from ninja.responses import Status
from pydantic import ConfigDict, Field

from access.auth import AuthedRequest
from access.models import AccessToken
from access.services import tokens
from agnes_site.core.errors import AccessDeniedError, NotFoundError
from agnes_site.core.paging import Paging

router = Router(tags=["tokens"])


class TokenNotFoundError(NotFoundError):
    """There is no such token of the caller."""

    code = "token_not_found"


class SessionRequiredError(AccessDeniedError):
    """A token cannot make another token."""

    code = "session_required"
    hint = "Sign in by browser to make a token."


class TokenIn(Schema):
    """A token to be made."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"name": "my laptop", "expires_in_days": 90}}
    )

    name: str = Field(min_length=1, max_length=100, description="Where the token is used.")
    expires_in_days: int | None = Field(90, ge=1, le=3650, description="Null: never.")


class TokenOut(Schema):
    """A token, without its secret."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "0c7e1f0a-8c53-4c0c-9d0f-5a3f5d2b7e11", "name": "my laptop", "kind": "pat",
                "prefix": "agn_pat_3kF9", "created_at": "2026-01-01T08:00:00Z",
                "expires_at": "2026-04-01T08:00:00Z", "last_used_at": None, "revoked_at": None,
            }
        }
    )  # fmt: skip

    id: UUID
    name: str
    kind: str
    prefix: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class NewTokenOut(TokenOut):
    """A token just made; `token` is shown this once."""

    token: str = Field(description="The secret: `agn_pat_…`.")


@router.get("/tokens", response=list[TokenOut], operation_id="list_tokens")
def list_tokens(request: AuthedRequest, wanted: Query[Paging]) -> list[AccessToken]:
    """List the caller's tokens."""
    return wanted.of(request.user.tokens.all())


@router.post("/tokens", response={201: NewTokenOut}, operation_id="create_token")
def create_token(request: AuthedRequest, data: TokenIn) -> Status[NewTokenOut]:
    """Make a token for the caller, who must have signed in by browser."""
    if request.user.token is not None:
        raise SessionRequiredError("A token cannot make another token.")
    days = data.expires_in_days
    made = tokens.create(
        user=request.user,
        name=data.name,
        by=request.user,
        expires_at=timezone.now() + timedelta(days=days) if days else None,
    )
    shown = TokenOut.from_orm(made.token).model_dump()
    return Status(201, NewTokenOut(**shown, token=made.secret))


@router.delete("/tokens/{token_id}", response={204: None}, operation_id="revoke_token")
def revoke_token(request: AuthedRequest, token_id: UUID) -> HttpResponse:
    """End a token of the caller at once."""
    token = request.user.tokens.filter(pk=token_id).first()
    if token is None:
        raise TokenNotFoundError("You have no such token.")
    tokens.revoke(token=token, by=request.user)
    return HttpResponse(status=204)
