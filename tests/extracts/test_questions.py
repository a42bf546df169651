from datetime import timedelta

import pytest
from django.utils import timezone

from agnes_site.core.errors import UpstreamError
from extracts.engine.process import ChildStoppedError
from extracts.models import Question, QuestionKind, QuestionState
from extracts.services import questions
from extracts.services.questions import QuestionNotFoundError


def ask(work, by):
    return questions.ask(kind=QuestionKind.TEST, work=work, by=by)


def refuse(asker):
    raise UpstreamError("The other side is gone.", hint="Look at it.")


def stumble(asker):
    raise RuntimeError("a canary")


class TestAnswer:
    def test_is_kept_in_the_row(self, admin):
        question = ask(lambda asker: {"message": "fine"}, admin)

        assert (question.state, question.answer) == ("answered", {"message": "fine"})

    def test_says_what_went_wrong(self, admin):
        question = ask(refuse, admin)

        assert question.state == QuestionState.FAILED
        assert question.error["message"] == "The other side is gone."
        assert question.error["hint"] == "Look at it."

    def test_does_not_repeat_what_nobody_foresaw(self, admin):
        question = ask(stumble, admin)

        assert question.error["code"] == "internal_error"
        assert "canary" not in str(question.error)

    def test_that_never_arrives_is_given_up(self, admin):
        question = Question.objects.create(kind=QuestionKind.TEST, asked_by=admin)
        Question.objects.update(asked_at=timezone.now() - timedelta(minutes=10))

        found = questions.find(question.pk, by=admin)

        assert (found.state, found.error["code"]) == ("failed", "answer_missing")

    def test_comes_too_late_for_a_question_that_was_cancelled(self, admin):
        def work(asker):
            questions.cancel(Question.objects.get())
            return {"message": "fine"}

        assert ask(work, admin).state == QuestionState.CANCELLED


class TestAsker:
    def test_tells_how_far_it_is_and_hears_that_nobody_waits(self, admin):
        heard = []

        def work(asker):
            asker.progress("discover", done=3, total=10, message="Reading.")
            heard.append(Question.objects.get().message)
            questions.cancel(Question.objects.get())
            if asker.should_stop():
                raise ChildStoppedError("stopped")

        question = ask(work, admin)

        assert heard == ["Reading. (3 of 10)"]
        assert question.state == QuestionState.CANCELLED


class TestQuestions:
    def test_are_asked_a_few_at_a_time(self, admin):
        def work(asker):
            return {"inner": ask(work, admin).error}

        ask(work, admin)

        states = Question.objects.values_list("state", "error__code")
        assert ("failed", "too_many_questions") in set(states)
        assert Question.objects.count() == 4

    def test_belong_to_who_asked_them(self, admin, analyst):
        question = ask(lambda asker: {}, admin)

        with pytest.raises(QuestionNotFoundError):
            questions.find(question.pk, by=analyst)

    def test_are_forgotten_after_a_day(self, admin):
        ask(lambda asker: {}, admin)
        Question.objects.update(asked_at=timezone.now() - timedelta(days=2))

        questions.forget_old()

        assert not Question.objects.exists()
