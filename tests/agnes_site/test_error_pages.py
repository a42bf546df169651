"""What people see instead of a page."""

from django.views.defaults import server_error


def test_an_address_that_leads_nowhere_leads_back(client, db):
    response = client.get("/admin-of-something-else/")

    assert response.status_code == 404
    assert 'href="/"' in response.content.decode()


def test_a_failure_says_whom_to_tell(rf):
    response = server_error(rf.get("/"))

    assert response.status_code == 500
    assert "tell whoever runs this server" in response.content.decode()
