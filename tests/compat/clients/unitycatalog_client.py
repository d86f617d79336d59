"""unitycatalog-client: every noun, as who may work in dev; `denied` is refused at each."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable

import unitycatalog.client as uc

configuration = uc.Configuration(host=os.environ["URL"] + "/api/2.1/unity-catalog")
said: dict[str, object] = {}


async def refused(act: Callable[[], Awaitable[object]]) -> list[object]:
    try:
        await act()
    except uc.ApiException as error:
        return [error.status, json.loads(error.body)["error_code"]]
    return [200, "done"]


async def works(api: uc.ApiClient) -> None:
    catalogs, schemas, tables = uc.CatalogsApi(api), uc.SchemasApi(api), uc.TablesApi(api)
    grants, models = uc.GrantsApi(api), uc.RegisteredModelsApi(api)
    said["catalogs"] = [c.name for c in (await catalogs.list_catalogs()).catalogs]
    said["catalog"] = (await catalogs.get_catalog("dev")).owner
    made = await schemas.create_schema(uc.CreateSchema(name="oss", catalog_name="dev", comment="made by a client"))
    said["schema"] = [made.full_name, made.owner, (await schemas.get_schema("dev.oss")).comment]
    await schemas.update_schema("dev.oss", uc.UpdateSchema(comment="described"))
    said["described"] = (await schemas.get_schema("dev.oss")).comment
    columns = [
        uc.ColumnInfo(name="id", type_text="bigint", type_name=uc.ColumnTypeName.LONG, position=0, nullable=False,
                      type_json='{"name":"id","type":"long","nullable":false,"metadata":{}}'),
        uc.ColumnInfo(name="tags", type_text="array<struct<k:string,v:decimal(8,2)>>", type_name=uc.ColumnTypeName.ARRAY,
                      position=1),
    ]  # fmt: skip
    new = uc.CreateTable(name="things", catalog_name="dev", schema_name="oss", table_type=uc.TableType.MANAGED,
                         data_source_format=uc.DataSourceFormat.DELTA, columns=columns, properties={"team": "lab"})  # fmt: skip
    table = await tables.create_table(new)
    said["table"] = [table.table_type.value, table.properties, [(c.name, c.type_text, c.nullable) for c in table.columns]]
    said["again"] = await refused(lambda: tables.create_table(new))
    said["listed"] = [t.name for t in (await tables.list_tables("dev", "oss")).tables]
    page = await tables.list_tables("dev", "many", max_results=50)
    second = await tables.list_tables("dev", "many", max_results=50, page_token=page.next_page_token)
    last = await tables.list_tables("dev", "many", page_token=second.next_page_token)
    said["pages"] = [len(page.tables), page.tables[-1].name, second.tables[0].name, len(last.tables), last.next_page_token]
    change = uc.PermissionsChange(principal="bob", add=[uc.Privilege.USE_SCHEMA, uc.Privilege.SELECT], remove=[])
    await grants.update(uc.SecurableType.SCHEMA, "dev.oss", uc.UpdatePermissions(changes=[change]))
    given = await grants.get(uc.SecurableType.SCHEMA, "dev.oss")
    said["granted"] = [(a.principal, [p.value for p in a.privileges]) for a in given.privilege_assignments]
    inherited = await grants.get(uc.SecurableType.CATALOG, "dev")
    said["own"] = sorted({a.principal for a in inherited.privilege_assignments})
    model = await models.create_registered_model(uc.CreateRegisteredModel(name="delay", catalog_name="dev", schema_name="oss"))
    said["model"] = [model.full_name, (await models.get_registered_model("dev.oss.delay")).name]
    versions = uc.ModelVersionsApi(api)
    new_version = uc.CreateModelVersion(model_name="delay", catalog_name="dev", schema_name="oss", source="s3://elsewhere/model")
    said["foreign_source"] = await refused(lambda: versions.create_model_version(new_version))
    said["versions"] = (await versions.list_model_versions("dev.oss.delay")).model_versions
    volumes = uc.VolumesApi(api)
    volume = await volumes.create_volume(uc.CreateVolumeRequestContent(
        name="files", catalog_name="dev", schema_name="oss", volume_type=uc.VolumeType.MANAGED, comment="pictures"))  # fmt: skip
    await volumes.update_volume("dev.oss.files", uc.UpdateVolumeRequestContent(comment="more pictures"))
    said["volume"] = [volume.full_name, (await volumes.get_volume("dev.oss.files")).comment]
    said["volumes"] = [v.name for v in (await volumes.list_volumes("dev", "oss")).volumes]
    said["volume_credentials"] = await refused(lambda: uc.TemporaryCredentialsApi(api).generate_temporary_volume_credentials(
        uc.GenerateTemporaryVolumeCredential(volume_id=volume.volume_id, operation=uc.VolumeOperation.READ_VOLUME)))  # fmt: skip
    await volumes.delete_volume("dev.oss.files")
    said["metastore"] = (await uc.MetastoresApi(api).summary()).metastore_id
    said["credentials"] = await refused(lambda: uc.TemporaryCredentialsApi(api).generate_temporary_table_credentials(
        uc.GenerateTemporaryTableCredential(table_id=table.table_id, operation=uc.TableOperation.READ)))  # fmt: skip
    said["missing"] = await refused(lambda: tables.get_table("dev.oss.nothing"))
    said["no_catalog"] = await refused(lambda: catalogs.create_catalog(uc.CreateCatalog(name="mine")))
    said["not_empty"] = await refused(lambda: schemas.delete_schema("dev.oss"))
    await models.delete_registered_model("dev.oss.delay")
    await tables.delete_table("dev.oss.things")
    await schemas.delete_schema("dev.oss")


async def registers(api: uc.ApiClient) -> None:
    models, versions = uc.RegisteredModelsApi(api), uc.ModelVersionsApi(api)
    where = {"model_name": "delay", "catalog_name": "dev", "schema_name": "lab"}
    await models.create_registered_model(uc.CreateRegisteredModel(name="delay", catalog_name="dev", schema_name="lab"))
    for logged in ("m-1", "m-2"):
        new = uc.CreateModelVersion(**where, source=f"mlflow-artifacts:/0/models/{logged}/artifacts")
        made = await versions.create_model_version(new)
        await versions.finalize_model_version("dev.lab.delay", made.version, uc.FinalizeModelVersion(
            full_name="dev.lab.delay", version=made.version))  # fmt: skip
    found = (await versions.list_model_versions("dev.lab.delay")).model_versions
    said["versions"] = [(v.version, v.status.value, v.storage_location) for v in found]
    await models.update_registered_model("dev.lab.delay", uc.UpdateRegisteredModel(comment="minutes late"))
    said["described"] = (await models.get_registered_model("dev.lab.delay")).comment
    said["upload"] = await refused(lambda: uc.TemporaryCredentialsApi(api).generate_temporary_model_version_credentials(
        uc.GenerateTemporaryModelVersionCredential(**where, version=1,
                                                   operation=uc.ModelVersionOperation.READ_WRITE_MODEL_VERSION)))  # fmt: skip


async def governs(api: uc.ApiClient) -> None:
    catalogs = uc.CatalogsApi(api)
    made = await catalogs.create_catalog(uc.CreateCatalog(name="archive", comment="old years"))
    said["made"] = [made.name, made.comment]
    await catalogs.update_catalog("archive", uc.UpdateCatalog(comment="older years"))
    said["described"] = (await catalogs.get_catalog("archive")).comment
    said["environment"] = await refused(lambda: catalogs.delete_catalog("dev", force=True))
    await catalogs.delete_catalog("archive")
    credentials = uc.TemporaryCredentialsApi(api)
    table = await uc.TablesApi(api).get_table("dev.lab.trips")
    given = await credentials.generate_temporary_table_credentials(
        uc.GenerateTemporaryTableCredential(table_id=table.table_id, operation=uc.TableOperation.READ_WRITE))  # fmt: skip
    said["credentials"] = [given.url == table.storage_location, given.expiration_time > 0, given.aws_temp_credentials]


async def denied(api: uc.ApiClient) -> None:
    catalogs, schemas, tables, grants = uc.CatalogsApi(api), uc.SchemasApi(api), uc.TablesApi(api), uc.GrantsApi(api)
    said["catalogs"] = (await catalogs.list_catalogs()).catalogs
    change = uc.PermissionsChange(principal="bob", add=[uc.Privilege.SELECT], remove=[])
    said["refused"] = {
        "catalog": await refused(lambda: catalogs.get_catalog("dev")),
        "schemas": await refused(lambda: schemas.list_schemas("dev")),
        "schema": await refused(lambda: schemas.create_schema(uc.CreateSchema(name="mine", catalog_name="dev"))),
        "tables": await refused(lambda: tables.list_tables("dev", "lab")),
        "table": await refused(lambda: tables.get_table("dev.lab.trips")),
        "drop": await refused(lambda: tables.delete_table("dev.lab.trips")),
        "grants": await refused(lambda: grants.get(uc.SecurableType.TABLE, "dev.lab.trips")),
        "grant": await refused(lambda: grants.update(uc.SecurableType.TABLE, "dev.lab.trips",
                                                     uc.UpdatePermissions(changes=[change]))),
        "volume": await refused(lambda: uc.VolumesApi(api).create_volume(uc.CreateVolumeRequestContent(
            name="mine", catalog_name="dev", schema_name="lab", volume_type=uc.VolumeType.MANAGED))),
        "model": await refused(lambda: uc.RegisteredModelsApi(api).create_registered_model(
            uc.CreateRegisteredModel(name="mine", catalog_name="dev", schema_name="lab"))),
    }  # fmt: skip


async def main() -> None:
    async with uc.ApiClient(configuration) as api:
        api.default_headers["Authorization"] = f"Bearer {os.environ['TOKEN']}"
        await globals()[sys.argv[1]](api)
    print(json.dumps(said))


asyncio.run(main())
