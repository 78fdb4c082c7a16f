"""The tests that the checkers of every chapter have, made from its table of right answers and its table of slips."""

import pytest


def checker_tests(check, right, wrong, spread=()):
    """Three tests of a chapter's checkers: right answers pass, `...` is no answer yet, each slip gets its hint.

    right: pairs (name of the checker, answer); wrong: triples (name, answer, words of the hint).
    spread: the names of checkers that take several answers, which the tables give as a tuple.
    """

    def judge(name, answer):
        return getattr(check, name)(*answer if name in spread else (answer,))

    @pytest.mark.parametrize("name, answer", right)
    def right_answers_pass(name, answer):
        verdict = judge(name, answer)
        assert verdict.right is True, verdict
        assert verdict.message, "a right answer is praised with a reason"

    @pytest.mark.parametrize("name", sorted({name for name, _ in right}))
    def no_answer_yet(name):
        assert getattr(check, name)(...).right is None

    @pytest.mark.parametrize("name, answer, hint", wrong)
    def slips_get_their_hint(name, answer, hint):
        verdict = judge(name, answer)
        assert verdict.right is False, verdict
        assert hint in verdict.message, verdict

    return right_answers_pass, no_answer_yet, slips_get_their_hint
