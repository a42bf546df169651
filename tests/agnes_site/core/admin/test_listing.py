from django.urls import reverse

from access.models import User
from agnes_site.core.admin import listing
from agnes_site.core.admin.listing import CountedPaginator
from tests.factories import SourceFactory, TableFactory, UserFactory

TABLES = reverse("admin:catalog_table_changelist")


class TestCountedPaginator:
    def test_counts_exactly_where_it_can(self, db):
        UserFactory.create_batch(5)

        paginator = CountedPaginator(User.objects.order_by("email"), 2)

        assert (paginator.count, paginator.num_pages, paginator.has_more) == (5, 3, False)

    def test_stops_counting(self, db, monkeypatch, django_assert_num_queries):
        monkeypatch.setattr(listing, "_COUNTED", 3)
        UserFactory.create_batch(5)

        paginator = CountedPaginator(User.objects.order_by("email"), 2)

        with django_assert_num_queries(1):
            assert (paginator.count, paginator.has_more) == (3, True)

    def test_says_in_the_list_that_there_are_more(self, pages, monkeypatch):
        monkeypatch.setattr(listing, "_COUNTED", 3)
        TableFactory.create_batch(5)

        assert "more than 3 tables" in " ".join(pages.get(TABLES).content.decode().split())


class TestOneOfManyFilter:
    def test_names_what_was_chosen(self, pages):
        shop = SourceFactory(display_name="The shop")
        TableFactory(name="orders", source=shop)
        TableFactory(name="salaries")

        response = pages.get(TABLES, {"source__id__exact": str(shop.pk)})

        page = response.content.decode()
        assert [table.name for table in response.context["cl"].result_list] == ["orders"]
        assert list(response.context["cl"].limits()) == [("source", "The shop")]
        assert "Not all is shown" in page

    def test_forgives_what_is_no_id(self, pages):
        response = pages.get(TABLES, {"source__id__exact": "shop"}, follow=True)

        assert response.status_code == 200
