import pytest

from access.models import User
from tests.factories import GroupFactory, UserFactory


@pytest.mark.parametrize(
    "path", ["/api/users", "/api/admin/groups", "/api/admin/grants", "/auth/tokens"]
)
class TestPages:
    def test_are_parts_of_the_whole_list(self, admin_api, path):
        UserFactory.create_batch(3)
        GroupFactory.create_batch(3)
        assert User.objects.count() == 4

        whole = admin_api.get(path)

        assert whole.status_code == 200, path
        assert admin_api.get(path, {"limit": 1}).json() == whole.json()[:1]
        assert admin_api.get(path, {"limit": 2, "offset": 1}).json() == whole.json()[1:3]
